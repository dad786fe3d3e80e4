const euros = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' })
const moments = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' })

/** @param cents what it costs */
export function price (cents: number): string {
  return euros.format(cents / 100)
}

export function moment (date: Date): string {
  return moments.format(date)
}

export function count (number: number, singular: string): string {
  return `${number} ${singular}${number === 1 ? '' : 's'}`
}
