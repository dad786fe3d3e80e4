import { serve } from './serve.js'
import { NAME } from './visitor.js'

await serve({
  register () {},
  begin () {},
  name: () => NAME,
  countVisit () {},
  visits: () => 1
})
