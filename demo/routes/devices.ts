import type { FastifyPluginAsync } from 'fastify'
import { signedInUser } from '../services/auth.ts'
import { devicesOf, signOutDevice, signOutOthers } from '../services/devices.ts'
import { complain, tell } from '../services/messages.ts'
import { devicesPage } from '../views/devices.ts'
import { count } from '../views/format.ts'
import { requireUser } from './guards.ts'

export const deviceRoutes: FastifyPluginAsync = async app => {
  app.addHook('preHandler', requireUser)

  app.get('/devices', async () => devicesPage(await devicesOf(signedInUser().id, app.sessions)))

  app.post('/devices/sign-out-others', async (_request, reply) => {
    const ended = await signOutOthers(signedInUser().id, app.sessions)
    tell(ended === 0 ? 'You are signed in nowhere else.' : `${count(ended, 'other device')} signed out.`)
    return await reply.redirect('/devices', 303)
  })

  app.post<{ Params: { key: string } }>('/devices/:key/sign-out', async (request, reply) => {
    const isDone = await signOutDevice(signedInUser().id, request.params.key, app.sessions)
    if (isDone) tell('That device is signed out.')
    else complain('That device was not signed in any more.')
    return await reply.redirect('/devices', 303)
  })
}
