// BPF_MAP_TYPE_QUEUE (kernel/bpf/queue_stack_maps.c): the oldest is popped first.

import { QueueStack } from "../queue_stack.ts";

export class QueueMap extends QueueStack {
  protected override readonly newestFirst = false;
}
