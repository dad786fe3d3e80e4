/** Forms with the CSRF token in them, and fields that remember what was entered and say what was wrong with it. */
import { csrfField } from 'ambient-session'
import { enteredBefore, errorOf } from '../services/forms.ts'
import type { Html } from './html.ts'
import { html } from './html.ts'

export interface Field {
  readonly name: string
  readonly label: string
  readonly type?: 'text' | 'email' | 'password'
  readonly autocomplete?: string
  readonly fallback?: string | undefined
}

export function postForm (action: string, content: Html, className = 'inline'): Html {
  return html`<form method="post" action="${action}" class="${className}" novalidate>
    !${csrfField()}
    !${content}
  </form>`
}

export function textField ({ name, label, type = 'text', autocomplete = 'off', fallback }: Field): Html {
  // flashInput() keeps no passwords, so none is ever shown here.
  return labelled(name, label, html`
    <input id="${name}" name="${name}" type="${type}" value="${enteredBefore(name, fallback)}" autocomplete="${autocomplete}" !${errorAttributes(name)}>
  `)
}

export function checkBox ({ name, label }: Field): Html {
  const isChecked = enteredBefore(name) === 'on'
  return html`<p class="check"><label><input name="${name}" type="checkbox" value="on" !${isChecked ? 'checked' : ''}> ${label}</label></p>`
}

export function textArea ({ name, label }: Field): Html {
  return labelled(name, label, html`<textarea id="${name}" name="${name}" rows="5" !${errorAttributes(name)}>${enteredBefore(name)}</textarea>`)
}

function labelled (name: string, label: string, control: Html): Html {
  const error = errorOf(name)
  return html`<div class="field">
    <label for="${name}">${label}</label>
    !${control}
    !${error === undefined ? '' : html`<p class="error" id="${name}-error">${error}</p>`}
  </div>`
}

function errorAttributes (name: string): Html {
  return errorOf(name) === undefined ? '' : html`aria-invalid="true" aria-describedby="${name}-error"`
}
