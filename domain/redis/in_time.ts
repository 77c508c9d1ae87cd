import { OutcomeUnknown } from "../errno.ts";
import { fromRejection } from "./failures.ts";

/** Waits for calls of Redis, which ioredis may never settle. */

/** Waits for a call of Redis until its deadline. */
export type InTime = <T>(call: Promise<T>) => Promise<T>;

/**
 * Settles as the call does, or rejects once `limit` ms have passed.
 *
 * @param drop rejects the call if it is not sent yet, and returns whether it was.
 * @throws a failure of errno.ts.
 */
export function inTime<T>(
  call: Promise<T>,
  limit: number,
  drop: (reason: string) => boolean = () => false,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onLate = () => {
      const reason = `Redis did not answer within ${Math.round(limit)} ms`;
      if (!drop(reason)) reject(new OutcomeUnknown(reason));
    };
    // Where this process was busy for too long, the reply may be here and not yet read.
    const timer = setTimeout(() => setImmediate(onLate), limit);
    call.then(
      (reply) => {
        clearTimeout(timer);
        resolve(reply);
      },
      (error: Error) => {
        clearTimeout(timer);
        reject(fromRejection(error));
      },
    );
  });
}
