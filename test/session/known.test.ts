/** What a process remembers of the sessions that it has met lately. */
import t from 'tap'
import { keyOf, newSessionId } from '../../src/session/id.ts'
import type { SessionId } from '../../src/session/id.ts'
import { KnownSessions } from '../../src/session/known.ts'
import type { StoredOrigin } from '../../src/session/start.ts'
import { Opened } from '../../src/session/start.ts'
import { emptyState } from '../../src/session/state.ts'
import type { StoredRecord, Version } from '../../src/stores/store.ts'

const MORE_THAN_ARE_REMEMBERED = 5_000

function remember (known: KnownSessions, id: SessionId, text = 'text'): void {
  known.meet(id, keyOf(id)).remember(text, new Opened(text, emptyState(), true))
}

function recordOf (payload: string): StoredRecord {
  return { payload, createdAt: new Date(), expiresAt: new Date(), version: 1 as Version }
}

t.test('a session that is used again and again is remembered, and those of long ago are forgotten', async t => {
  const known = new KnownSessions()
  const [used, unused] = [newSessionId(), newSessionId()]
  remember(known, used)
  remember(known, unused)
  for (let n = 0; n < MORE_THAN_ARE_REMEMBERED; n++) {
    remember(known, newSessionId())
    known.get(used)
  }
  t.equal(known.get(used)?.key, keyOf(used))
  t.equal(known.get(unused), undefined)
})

t.test('what is remembered of a payload counts for that payload only', async t => {
  const known = new KnownSessions()
  const id = newSessionId()
  remember(known, id)
  t.equal(known.get(id)?.startFrom(recordOf('another')), undefined)
  const record = recordOf('text')
  const start = known.get(id)?.startFrom(record)
  t.match(start, { origin: { kind: 'stored', id, record }, opened: { text: 'text' } })
  const later = recordOf('text')
  t.equal((known.get(id)?.startFrom(later)?.origin as StoredOrigin).record, later)
})

t.test('of a long text only the key is remembered, also when a short one was before', async t => {
  const known = new KnownSessions()
  const id = newSessionId()
  remember(known, id)
  t.ok(known.get(id)?.startFrom(recordOf('text')))
  const long = 'x'.repeat(20_000)
  remember(known, id, long)
  t.equal(known.get(id)?.key, keyOf(id))
  t.equal(known.get(id)?.startFrom(recordOf(long)), undefined)
})

t.test('a state that was taken is decoded again, and one that has come back is not', async t => {
  const opened = new Opened('{"data":{"n":1}}', { ...emptyState(), data: { n: 1 } }, true)
  const taken = opened.take()
  t.same(opened.state.data, { n: 1 })
  t.not(opened.state, taken)
  const again = opened.take()
  opened.takeBack(new Opened(opened.text, again, true))
  t.equal(opened.state, again)
})

t.test('of a long text, and of none, a copy is given away', async t => {
  for (const text of [`{"data":{"x":"${'x'.repeat(3_000)}"}}`, undefined]) {
    const opened = new Opened(text, emptyState(), true)
    const { state } = opened
    const taken = opened.take()
    taken.data.n = 1
    t.equal(opened.state, state)
    t.same(state.data, {})
  }
})
