/** The relay thread's entry, beside this file as it was built; a file of its own, because a thread loads nothing else. */
export const RELAY_THREAD_FILE = new URL('./thread/relay-thread.js', import.meta.url);
