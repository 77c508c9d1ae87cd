/** How long tests and their services wait, because on a loaded machine an answer takes seconds. */

/** ms that a service of the tests gives a call to Redis, except where a test is about this deadline. */
export const DEADLINE_MS = 10_000;

/** The same as a setting of a service that is started as a program. */
export const PATIENT = { REDIS_DEADLINE_MS: String(DEADLINE_MS) };

/** For a condition that comes true soon. */
export const WAIT = { timeout: 60_000, interval: 20 };
