/**
 * The types of a session's keys. An application declares its own by merging into {@link SessionData}:
 *
 * ```ts
 * declare module 'ambient-session' {
 *   interface SessionData { userId: string, cart: { items: string[] } }
 * }
 * ```
 */

/** What an application keeps in its sessions, by key. Empty here; to be merged into. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface SessionData {}

type KnownKey = Extract<keyof SessionData, string>

/** A declared key, or any other: dotted paths and undeclared keys stay usable. */
// eslint-disable-next-line @typescript-eslint/no-redundant-type-constituents -- KnownKey is never only until something is declared
export type SessionKey = KnownKey | (string & Record<never, never>)

/** The type of what stands at a key or dotted path: as declared, or unknown. */
export type ValueAt<Path extends string> =
  Path extends KnownKey
    ? SessionData[Path]
    : Path extends `${infer Head}.${infer Rest}`
      ? Head extends KnownKey ? Walk<NonNullable<SessionData[Head]>, Rest> : unknown
      : unknown

type Walk<Value, Path extends string> =
  Path extends NamedKey<Value, Path>
    ? Value[Path]
    : Value extends readonly (infer Element)[]
      ? Path extends `${number}.${infer Rest}` ? Walk<NonNullable<Element>, Rest> : Path extends `${number}` ? Element : unknown
      : Path extends `${infer Head}.${infer Rest}`
        ? Head extends keyof Value ? Walk<NonNullable<Value[Head]>, Rest> : unknown
        : unknown

/** The keys of an object; those with dots of a Record, whose keys have no names, are paths below it. */
type NamedKey<Value, Path> = string extends keyof Value ? Path extends `${string}.${string}` ? never : keyof Value : keyof Value

/** A default of the type that is declared for the key; nothing fits where none is declared. */
export type DeclaredDefault<Path extends string> =
  unknown extends ValueAt<Path> ? never : Exclude<ValueAt<Path>, undefined> | (() => Exclude<ValueAt<Path>, undefined>)

/** What reading with another default gives: the declared type where there is one, and otherwise the default's. */
export type ValueOr<Path extends string, Default> =
  unknown extends ValueAt<Path> ? Default : Exclude<ValueAt<Path>, undefined> | Default

/** What `remember` gives for what its function has made: what is there, or what was made, and a promise where that is one. */
export type Remembered<Path extends string, Made> = NonNullable<ValueAt<Path>> | (
  Made extends Promise<unknown> ? unknown extends ValueAt<Path> ? Made : Promise<NonNullable<ValueAt<Path>>> : never
)

/** The elements of the list at a key, where one is declared. */
export type ElementAt<Path extends string> =
  NonNullable<ValueAt<Path>> extends readonly (infer Element)[] ? Element : unknown

/** A key that can be pushed to: one that is declared a list, or not declared. */
export type ListKey<Path extends string> =
  unknown extends ValueAt<Path> ? Path
    : ValueAt<Path> extends null | undefined ? never
      : NonNullable<ValueAt<Path>> extends readonly unknown[] ? Path : never

/** A key that can be counted up: one that is declared a number, or not declared. */
export type CounterKey<Path extends string> =
  unknown extends ValueAt<Path> ? Path : NonNullable<ValueAt<Path>> extends number ? Path : never

/** What follows the key in `flash(key, value)`: nothing stands for `true`, where that fits. */
export type FlashedAt<Path extends string> =
  true extends ValueAt<Path> ? [value?: ValueAt<Path>] : [value: ValueAt<Path>]

/** An object of several keys to put at once. */
export type SessionValues = { [Key in keyof SessionData]?: SessionData[Key] | undefined } & Record<string, unknown>
