/** Payloads that tell whether they are whole, and which of them they are. */

/** @returns a payload of the generation: its number, and as many characters of filling as the number asks for */
export function wholePayload (generation: number): string {
  return `${generation}:${'abcdefg'.charAt(generation % 7).repeat(lengthOf(generation))}`
}

/** @returns the generation of a payload, or undefined when it is not one that {@link wholePayload} makes */
export function generationOf (payload: string): number | undefined {
  const generation = Number.parseInt(payload)
  return payload === wholePayload(generation) ? generation : undefined
}

/** Small mostly, and now and then larger than ever before, so that the file has to be replaced by a larger one. */
function lengthOf (generation: number): number {
  return generation % 50 === 0 ? generation * 40 : (generation * 37) % 400
}
