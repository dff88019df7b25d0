/** Environment data by which a test tells a mortal relay thread to fail: an Int32Array whose first number is 1 then. */
export const DEATH_KEY = 'lazy-proxy-test.relay-thread-dies';
