/** Forms with the CSRF token in them, and fields that remember what was entered and say what was wrong with it. */
import { csrfField } from 'ambient-session'
import { enteredBefore, errorOf, isFirstError } from '../services/forms.ts'
import { html, type Html } from './html.ts'

export interface Field {
  readonly name: string
  readonly label: string
  readonly type?: 'text' | 'email' | 'password'
  readonly autocomplete?: string
  readonly fallback?: string | undefined
}

export interface FileField {
  readonly name: string
  readonly label: string
  /** The types of file that the browser offers: `image/*`. */
  readonly accept: string
  readonly hint: string
}

export interface FormOptions {
  readonly className?: string
  /** A form with files says `multipart/form-data`. */
  readonly encoding?: string
}

export function postForm (
  action: string, content: Html, { className = 'inline', encoding = 'application/x-www-form-urlencoded' }: FormOptions = {}
): Html {
  return html`<form method="post" action="${action}" class="${className}" enctype="${encoding}" novalidate>
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

export function fileField ({ name, label, accept, hint }: FileField): Html {
  return labelled(name, label, html`
    <input id="${name}" name="${name}" type="file" accept="${accept}" !${errorAttributes(name, `${name}-hint`)}>
    <p class="hint-line" id="${name}-hint">${hint}</p>
  `)
}

function labelled (name: string, label: string, control: Html): Html {
  const error = errorOf(name)
  return html`<div class="field">
    <label for="${name}">${label}</label>
    !${control}
    !${error === undefined ? '' : html`<p class="error" id="${name}-error">${error}</p>`}
  </div>`
}

/** The first field that is wrong has the focus when its page opens: it may be out of sight. */
function errorAttributes (name: string, hint?: string): Html {
  const isWrong = errorOf(name) !== undefined
  const descriptions = [isWrong ? `${name}-error` : undefined, hint].filter(id => id !== undefined)
  return html`!${isWrong ? 'aria-invalid="true"' : ''} !${isFirstError(name) ? 'autofocus' : ''}
    !${descriptions.length === 0 ? '' : html`aria-describedby="${descriptions.join(' ')}"`}`
}
