/** The devices on which a user is signed in: each of them is a session, and can be ended from the others. */
import { type ListedSession, session, type Sessions } from 'ambient-session'

/** What pages say of a device. */
export interface Device {
  readonly key: string
  readonly name: string
  readonly address: string
  readonly signedIn: Date
  readonly lastActive: Date
  readonly isThisOne: boolean
}

/** @returns the one used last first */
export async function devicesOf (userId: string, sessions: Sessions): Promise<Device[]> {
  return (await sessions.for(userId)).map(deviceOf)
}

/** @returns whether the user had such a device: the session of another user is not ended */
export async function signOutDevice (userId: string, key: string, sessions: Sessions): Promise<boolean> {
  const isTheirs = (await sessions.for(userId)).some(listed => listed.key === key)
  return isTheirs && await sessions.destroy(key)
}

/** @returns how many there were */
export async function signOutOthers (userId: string, sessions: Sessions): Promise<number> {
  return await sessions.destroyFor(userId, { except: session().key })
}

function deviceOf ({ key, userAgent, ipAddress, createdAt, lastActivity, isCurrent }: ListedSession): Device {
  return {
    key,
    name: nameOf(userAgent ?? ''),
    address: ipAddress ?? 'an unknown address',
    signedIn: createdAt,
    lastActive: lastActivity ?? createdAt,
    isThisOne: isCurrent
  }
}

/** Browsers say that they are each other, so the order matters. A real shop would ask a library. */
const browsers = [['Edg/', 'Edge'], ['OPR/', 'Opera'], ['Firefox/', 'Firefox'], ['Chrome/', 'Chrome'], ['Safari/', 'Safari'], ['curl/', 'curl']] as const
const systems = [['Android', 'Android'], ['iPhone', 'an iPhone'], ['iPad', 'an iPad'], ['Windows', 'Windows'], ['Mac OS X', 'a Mac'], ['Linux', 'Linux']] as const

function nameOf (userAgent: string): string {
  const browser = browsers.find(([sign]) => userAgent.includes(sign))?.[1] ?? 'A browser'
  const system = systems.find(([sign]) => userAgent.includes(sign))?.[1]
  return system === undefined ? browser : `${browser} on ${system}`
}
