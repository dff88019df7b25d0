/**
 * The schema as a function. The build puts another file in the place of this one, which holds the generated function
 * (scripts/bundle/schema-validator.mjs): the shipped form loads neither the schema nor its compiler.
 */
import { createRequire } from 'node:module';
import { Ajv, type AnySchemaObject, type ErrorObject } from 'ajv';
import { SCHEMA_OPTIONS } from './schema-options.ts';

/** True where a file fits; where it doesn't, `errors` says why until the next call. */
export interface SchemaValidator {
  (root: unknown): boolean;
  readonly errors?: readonly ErrorObject[] | null;
}

/** The schema as it is shipped; loaded as a module is, because it is part of the program. */
export function loadSchema(): AnySchemaObject {
  return createRequire(import.meta.url)('../../../schema/lazy-proxy.schema.json') as AnySchemaObject;
}

let compiled: SchemaValidator | undefined;

/** Compiles the schema (some 70 ms) at its first call, and keeps that. */
export function findSchemaValidator(): SchemaValidator {
  compiled ??= new Ajv(SCHEMA_OPTIONS).compile<unknown>(loadSchema());
  return compiled;
}
