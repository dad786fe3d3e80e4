/** Preloaded by the processes of tests: Node.js runs TypeScript from 22.18 on, and before by tsx. */
if (!process.features.typescript) await import('tsx')
