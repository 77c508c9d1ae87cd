import { QueueStack } from "../queue_stack.ts";

/** BPF_MAP_TYPE_STACK (kernel/bpf/queue_stack_maps.c): pops the newest element first. */

export class StackMap extends QueueStack {
  protected override readonly newestFirst = true;
}
