/** What a process remembers of the sessions that it has met lately. */
import t from 'tap'
import { keyOf, newSessionId } from '../../src/session/id.ts'
import type { SessionId } from '../../src/session/id.ts'
import { KnownSessions } from '../../src/session/known.ts'
import { emptyState } from '../../src/session/state.ts'

const MORE_THAN_ARE_REMEMBERED = 5_000

function remember (known: KnownSessions, id: SessionId, text = 'text'): void {
  known.remember(id, keyOf(id), text, { text, state: emptyState(), isPlain: true })
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

t.test('of a long text only the key is remembered, also when a short one was before', async t => {
  const known = new KnownSessions()
  const id = newSessionId()
  remember(known, id)
  t.equal(known.get(id)?.opened?.text, 'text')
  remember(known, id, 'x'.repeat(20_000))
  t.match(known.get(id), { key: keyOf(id), payload: undefined, opened: undefined })
})
