// Maps that are found again by their names.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifndef ENTRIES
#define ENTRIES 16
#endif

int next(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, ENTRIES);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, 4);
	__uint(max_entries, 2);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, int (struct __sk_buff *));
} policy SEC(".maps") = {
	.values = { [0] = (void *)&next },
};

SEC("tc")
int ingress(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	__u64 *count = bpf_map_lookup_elem(&counters, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
	bpf_tail_call(skb, &policy, 0);
	return 0;
}

SEC("tc")
int next(struct __sk_buff *skb)
{
	return 1;
}

char _license[] SEC("license") = "GPL";
