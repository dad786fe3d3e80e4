export interface Product {
  readonly id: string
  readonly name: string
  readonly description: string
  /** In cents. */
  readonly price: number
}

export const products: readonly Product[] = [
  { id: 'notebook', name: 'Dot-grid notebook', description: 'Lies flat, 160 pages, sewn by hand.', price: 1400 },
  { id: 'pencils', name: 'Three cedar pencils', description: 'One soft, one medium, one hard.', price: 650 },
  { id: 'mug', name: 'Stoneware mug', description: 'Holds a quarter litre and its heat.', price: 1800 },
  { id: 'lamp', name: 'Desk lamp', description: 'Warm light at the end of a long arm.', price: 6400 },
  { id: 'plant', name: 'Potted plant', description: 'Asks for little: some shade, some water.', price: 2200 },
  { id: 'tote', name: 'Canvas tote', description: 'Carries all of the above, save the lamp.', price: 1600 }
]

export function findProduct (id: string): Product | undefined {
  return products.find(product => product.id === id)
}
