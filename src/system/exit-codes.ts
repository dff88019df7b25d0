/** Exit statuses of the program; `validate` uses the first three. */
export const EXIT_OK = 0;
/** The input has problems. */
export const EXIT_PROBLEMS = 1;
/** The input could not be read, or `run` could not start with it. */
export const EXIT_UNUSABLE = 2;
