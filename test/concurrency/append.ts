import { isRecord, type NewRecord, type SessionStore, type StoredRecord, type StoreKey } from '../../src/stores/store.ts'

/**
 * Appends a word to a session's payload, as a commit does: again and again until no other process has written in between.
 *
 * @param made makes the record that is written, from the one that was read and the new payload
 */
export async function append (
  store: SessionStore, key: StoreKey, word: string,
  made = (record: StoredRecord, payload: string): NewRecord => ({ ...record, payload })
): Promise<void> {
  for (;;) {
    const record = await store.read(key)
    if (!isRecord(record)) throw new Error('the session has gone')
    const answer = await store.compareAndSet(key, made(record, `${record.payload} ${word}`), record.version)
    if (answer === 'gone') throw new Error('the session has gone')
    if (answer !== 'conflict') return
  }
}
