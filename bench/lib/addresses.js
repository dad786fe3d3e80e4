/** Where the servers are that stacks keep sessions on: on this machine, unless the environment says otherwise. */

/** The variables that say it. */
export const variables = { redis: 'BENCH_REDIS_URL', postgres: 'BENCH_POSTGRES_URL', mariadb: 'BENCH_MARIADB_URL' }

const { [variables.redis]: redis, [variables.postgres]: postgres, [variables.mariadb]: mariadb } = process.env

export const addresses = {
  redis: redis ?? 'redis://127.0.0.1:6379',
  postgres: postgres ?? 'postgres://postgres@127.0.0.1:5432/test',
  mariadb: mariadb ?? 'mysql://root@127.0.0.1:3306/test'
}
