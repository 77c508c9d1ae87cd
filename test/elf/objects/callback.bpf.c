// Functions whose addresses are taken, and a tail call in a subprogram: both need func_info.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 4);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 1);
} jumps SEC(".maps");

static long step(__u32 index, void *context)
{
	*(__u64 *)context += index;
	return 0;
}

static long visit(void *map, __u32 *key, __u64 *value, void *context)
{
	*(__u64 *)context += *value;
	return 0;
}

static __noinline int leave(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jumps, 0);
	return 3;
}

SEC("tc")
int sum(struct __sk_buff *skb)
{
	__u64 sum = 0;

	bpf_loop(10, step, &sum, 0);
	bpf_for_each_map_elem(&numbers, visit, &sum, 0);
	return sum;
}

SEC("tc")
int jump(struct __sk_buff *skb)
{
	return leave(skb);
}

char _license[] SEC("license") = "GPL";
