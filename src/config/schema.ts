import { createRequire } from 'node:module';
import { type AnySchemaObject, Ajv, type ErrorObject } from 'ajv';
import type { Path } from './path.ts';

/** One violation of the schema. */
export interface SchemaIssue {
  readonly path: Path;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** The value at the path. */
  readonly value: unknown;
}

/** Checks a whole file against the schema; all violations at once. */
export type CheckSchema = (root: unknown) => readonly SchemaIssue[];

/** The schema as it is shipped; loaded as a module is, because it is part of the program. */
export function loadSchema(): AnySchemaObject {
  return createRequire(import.meta.url)('../../schema/lazy-proxy.schema.json') as AnySchemaObject;
}

/** A checker that loads and compiles the schema at its first call (some 70 ms) and keeps it. */
export function createSchemaCheck(): CheckSchema {
  let validate: ReturnType<Ajv['compile']> | undefined;
  return (root) => {
    validate ??= new Ajv({ allErrors: true, allowUnionTypes: true, verbose: true }).compile(loadSchema());
    return validate(root) ? [] : (validate.errors ?? []).map(toIssue);
  };
}

function toIssue(error: ErrorObject): SchemaIssue {
  const steps = error.instancePath.split('/').slice(1);
  return {
    path: steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')),
    keyword: error.keyword,
    params: error.params,
    value: error.data,
  };
}
