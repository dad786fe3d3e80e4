/** Whose session it is and where it was used from, as stores keep it: most records have nothing of it. */
export interface Facts<Time> {
  readonly userId?: string
  readonly ipAddress?: string
  readonly userAgent?: string
  readonly lastActivity?: Time
}

/** The same, as records have it. */
type Possible<Time> = { readonly [Name in keyof Facts<Time>]?: Facts<Time>[Name] | undefined }

/** @returns what there is of them; undefined when that is nothing */
export function factsOf<Time> ({ userId, ipAddress, userAgent, lastActivity }: Possible<Time>): Facts<Time> | undefined {
  if (userId === undefined && lastActivity === undefined && ipAddress === undefined && userAgent === undefined) return undefined
  return {
    ...userId !== undefined && { userId },
    ...ipAddress !== undefined && { ipAddress },
    ...userAgent !== undefined && { userAgent },
    ...lastActivity !== undefined && { lastActivity }
  }
}
