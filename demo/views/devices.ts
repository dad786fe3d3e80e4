import type { Device } from '../services/devices.ts'
import { postForm } from './form.ts'
import { moment } from './format.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'

export function devicesPage (devices: Device[]): Html {
  return layout({
    title: 'Your devices',
    script: 'devices.js',
    content: html`
      <h1>Your devices</h1>
      <ul class="lines">!${devices.map(device)}</ul>
      !${devices.length > 1 ? postForm('/devices/sign-out-others', html`<button class="primary">Sign out all other devices</button>`) : html`<p class="empty">You are signed in nowhere else. Try another browser, or a private window.</p>`}
    `,
    backstage: html`
      <p>Signing in calls <code>session().setUser('ada')</code>, and <code>app.sessions.for('ada')</code> lists all sessions of that
      user. <code>app.sessions.destroy(key)</code> ends one and <code>destroyFor('ada', { except })</code> all the others: they are
      dead at once, even for requests that are under way. This page listens for that (<code>onSessionEnd</code>) and leaves when you
      sign it out from another browser.</p>
    `
  })
}

function device ({ key, name, address, signedIn, lastActive, isThisOne }: Device): Html {
  return html`<li class="device">
    <div class="about">
      <h2>${name}</h2>
      <p>From ${address}. Here since ${moment(signedIn)}, last active ${moment(lastActive)}.</p>
    </div>
    !${isThisOne
      ? html`<strong class="this-one">This device</strong>`
      : postForm(`/devices/${key}/sign-out`, html`<button aria-label="Sign out ${name}">Sign out</button>`)}
  </li>`
}
