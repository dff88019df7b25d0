/** How the schema is compiled: at run time from the source, beforehand in the shipped form. */
export const SCHEMA_OPTIONS = { allErrors: true, allowUnionTypes: true } as const;
