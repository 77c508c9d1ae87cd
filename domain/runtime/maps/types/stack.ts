// BPF_MAP_TYPE_STACK (kernel/bpf/queue_stack_maps.c): the newest is popped first.

import { QueueStack } from "../queue_stack.ts";

export class StackMap extends QueueStack {
  protected override readonly newestFirst = true;
}
