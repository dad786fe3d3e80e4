/* global EventSource, addEventListener, location */

// When the session of this page ends, reloading the page leads to signing in. A form of its own leads on by itself.
const watch = new EventSource('/devices/watch')
watch.addEventListener('signed-out', () => { location.reload() })
addEventListener('submit', () => { watch.close() })
