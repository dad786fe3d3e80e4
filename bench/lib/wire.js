/**
 * Answers the questions of the process that started this one, and ends with it.
 *
 * @param {Record<string, Function>} answers by question
 */
export function answer (answers) {
  process.on('message', async ({ id, question, details }) => {
    try {
      process.send({ id, answer: await answers[question](details) })
    } catch (error) {
      process.send({ id, error: error.message })
    }
  })
  process.once('disconnect', () => process.exit())
  process.send({ id: 'ready' })
}
