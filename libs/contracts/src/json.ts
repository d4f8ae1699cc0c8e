/** A JSON value as the wire carries it. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };

type IsAny<T> = 0 extends 1 & T ? true : false;

/**
 * A generated message as code should see it: read-only, message fields present unless `optional` in the contract, and
 * google.protobuf.Struct as JSON instead of `any`.
 */
export type Wire<T> = T extends string | number | boolean
  ? T
  : T extends readonly (infer U)[]
    ? readonly Wire<U>[]
    : string extends keyof T
      ? IsAny<T[string]> extends true
        ? JsonObject
        : { readonly [key: string]: Wire<T[string]> }
      : { readonly [K in keyof T]: Wire<Exclude<T[K], undefined>> };

/** T with some fields told more exactly than the contract can. */
export type Refine<T, Exact> = Omit<T, keyof Exact> & Readonly<Exact>;
