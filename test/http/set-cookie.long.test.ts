/** The session's cookie, with the stores that are servers. */
import { serverDrivers } from './each-driver.ts'
import { testCookies } from './set-cookie-cases.ts'

for (const driver of serverDrivers) testCookies(driver)
