import { parseArgs } from 'node:util'

/**
 * @param {Record<string, { type: 'string' | 'boolean', default?: string | boolean }>} options
 * @returns {Record<string, any>} what stands on the command line
 */
export function readFlags (options) {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    console.error(`${error.message}\nFlags: ${Object.keys(options).map(name => `--${name}`).join(' ')}`)
    process.exit(2)
  }
}

/** @returns {number} a flag's value, which has to be greater than 0 */
export function positive (name, text) {
  const number = Number(text)
  if (number > 0) return number
  console.error(`--${name} has to be a number greater than 0, not ${text}`)
  return process.exit(2)
}

/**
 * @template {{ name: string }} Named
 * @param {readonly Named[]} all
 * @param {string | undefined} list of names, with commas in between; all of them when it is left out
 * @returns {Named[]}
 */
export function choose (flag, all, list) {
  if (list === undefined) return [...all]
  const names = list.split(',')
  const unknown = names.filter(name => !all.some(one => one.name === name))
  if (unknown.length === 0) return all.filter(({ name }) => names.includes(name))
  console.error(`--${flag} does not know ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`)
  return process.exit(2)
}
