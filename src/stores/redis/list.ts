/**
 * Lists of sessions, in the order of their keys. A list in Redis may name sessions that have ended, and never lacks a living
 * one. So each named session is read before it is returned.
 */
import { listedAs } from '../record.ts'
import { isRecord, type ListedRecord, type ListFilter, type Page, type RecordPage, type StoreKey } from '../store.ts'
import { type Keys, shardOf, SHARDS } from './keys.ts'
import { type Link, textOf, textsOf } from './link.ts'
import { entryIn } from './record.ts'

/** How many shards are asked at once. */
const SHARDS_AT_ONCE = 32
/** As much of a session as has all but the payload, unless its browser has a very long name. */
const HEAD_BYTES = 2_048

export async function listRecords (link: Link, keys: Keys, { userId }: ListFilter, { limit, after = '' }: Page): Promise<RecordPage> {
  const records: ListedRecord[] = []
  const moved: StoreKey[] = []
  for await (const named of userId === undefined ? namedInShards(link, keys, after) : [namedIn(link, keys.user(userId))]) {
    const candidates = named.filter(key => key > after).sort()
    // One more than wanted is read, to know whether there is a next page.
    for (let at = 0; at < candidates.length && records.length <= limit; at += limit + 1) {
      const found = await Promise.all(candidates.slice(at, at + limit + 1).map(async key => ({ key, entry: await look(link, keys, key) })))
      for (const { key, entry } of found) {
        if (isRecord(entry)) records.push(...userId === undefined || entry.userId === userId ? [listedAs(key, entry)] : [])
        else if (entry?.reason === 'regenerated' && userId !== undefined) moved.push(key)
      }
    }
    if (records.length > limit) break
  }
  const page = records.slice(0, limit)
  return { records: page, next: records.length > limit ? page.at(-1)?.key : undefined, moved }
}

/** Shard after shard, beginning with the one of the last key of the page before. */
async function * namedInShards (link: Link, keys: Keys, after: string): AsyncGenerator<StoreKey[]> {
  const shards = SHARDS.filter(shard => shard >= shardOf(after))
  for (let at = 0; at < shards.length; at += SHARDS_AT_ONCE) {
    yield (await Promise.all(shards.slice(at, at + SHARDS_AT_ONCE).map(shard => namedIn(link, keys.shard(shard))))).flat()
  }
}

async function namedIn (link: Link, list: string): Promise<StoreKey[]> {
  return textsOf(await link.send('ZRANGE', [list, '0', '-1'], list)) as StoreKey[]
}

async function look (link: Link, keys: Keys, key: StoreKey): Promise<ReturnType<typeof entryIn>> {
  const name = keys.session(key)
  const head = textOf(await link.send('GETRANGE', [name, '0', String(HEAD_BYTES - 1)], name))
  return entryIn(head) ?? (head === '' ? undefined : entryIn(textOf(await link.send('GET', [name], name) ?? '')))
}
