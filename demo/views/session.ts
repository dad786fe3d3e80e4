import { session, type StoredRecord } from 'ambient-session'
import { storedSession } from '../services/stored-session.ts'
import { sessionFiles } from '../session-files.ts'
import { count, moment } from './format.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'

export async function sessionPage (): Promise<Html> {
  const record = await storedSession()
  return layout({
    title: 'Your session',
    content: html`
      <h1>Your session, as stored</h1>
      !${record === undefined ? nothingStored : recordOf(record)}
    `,
    backstage: html`
      <p>This is the record as your last request left it: what this request changes is stored just before its response leaves.
      It is text that <code>cat</code> can show, too, in <code>${sessionFiles}</code>.</p>
    `
  })
}

const nothingStored = html`
  <p class="empty">There is none. A session in which nothing was ever put is not stored, and its visitor gets no cookie.
  <a href="/">Look around the shop</a> and come back: the forms there carry a token, and a token has to be stored.</p>
`

function recordOf ({ version, createdAt, expiresAt, payload }: StoredRecord): Html {
  return html`
    <dl class="facts">
      !${fact('Key', html`<code class="key">${session().key}</code>`, `
        The SHA-256 of the id in your cookie. The id itself is a secret and is stored nowhere: no cookie can be made
        of what is in the store.`)}
      !${fact('Version', String(version), `
        How often its data was written. A write succeeds only on the version it has read; if another request was faster, the
        changes are made once more to what is there by then. So none is lost.`)}
      !${fact('Created', moment(createdAt), 'When it was first stored.')}
      !${fact('Expires', moment(expiresAt), 'Two hours after its last use, or thirty days if you asked to be kept signed in. Use moves it on, once a minute at most.')}
      !${fact('Size', count(Buffer.byteLength(payload), 'byte'), 'Of the payload below.')}
    </dl>
    <h2>Payload</h2>
    <pre tabindex="0" aria-label="Payload"><code>${JSON.stringify(JSON.parse(payload), null, 2)}</code></pre>
    <dl class="facts">
      !${fact('data', '', 'What the shop has put: your cart, your orders. Dates and the like are tagged, so that they come back as what they were.')}
      !${fact('flashes', '', 'Which of these are there for one more request only. Change something and come straight here to see one.')}
      !${fact('input', '', 'What you entered into a form that was refused, until it is shown again.')}
      !${fact('token', '', 'The CSRF token that every form of yours has to carry.')}
      !${fact('previousUrl', '', 'Where you go after signing in.')}
      !${fact('userId', '', 'Who you are, once you have signed in. Beside it the store keeps from where and when you were last here.')}
    </dl>
  `
}

function fact (name: string, value: Html, explanation: string): Html {
  return html`<div><dt>${name}</dt><dd>!${value}<p>${explanation}</p></dd></div>`
}
