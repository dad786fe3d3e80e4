/** @param {readonly number[]} values at least one */
export function median (values) {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * By the nearest-rank method.
 *
 * @param {readonly number[]} values at least one
 * @param {number} share from 0 to 1
 */
export function percentile (values, share) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}
