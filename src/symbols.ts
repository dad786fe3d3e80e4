/** Where the plugin keeps what belongs to it, in whichever copy of the package. */

/** Where a request keeps its session. */
export const CURRENT = Symbol.for('ambient-session.current')
/** Where an application that registered the plugin keeps what all its requests share. */
export const PLUGIN = Symbol.for('ambient-session.plugin')
