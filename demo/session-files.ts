/** Where the sessions are kept, relative to the working directory. */
export const sessionFiles = process.env['SESSION_FILES'] ?? 'storage/framework/sessions'
