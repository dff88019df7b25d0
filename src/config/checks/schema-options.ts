/** How the schema is compiled: a checkout compiles it when it runs, the shipped form when it is built. */
export const SCHEMA_OPTIONS = { allErrors: true, allowUnionTypes: true } as const;
