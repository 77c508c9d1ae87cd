/** What a call of Redis sends and what its reply has; texts arrive as buffers. */

export type RedisValue = Buffer | number | null | RedisValue[];
export type Argument = string | number | Buffer;
