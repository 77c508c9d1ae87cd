// Maps as tc takes them: struct bpf_elf_map, tail calls by the names of sections.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <iproute2/bpf_elf.h>

#define JUMPS 5
#define INNER 7

struct bpf_elf_map jmp_tc SEC("maps") = {
	.type = BPF_MAP_TYPE_PROG_ARRAY,
	.id = JUMPS,
	.size_key = 4,
	.size_value = 4,
	.pinning = PIN_GLOBAL_NS,
	.max_elem = 4,
};

struct bpf_elf_map outer SEC("maps") = {
	.type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
	.size_key = 4,
	.size_value = 4,
	.inner_id = INNER,
	.max_elem = 2,
};

struct bpf_elf_map inner SEC("maps") = {
	.type = BPF_MAP_TYPE_ARRAY,
	.id = INNER,
	.inner_idx = 1,
	.size_key = 4,
	.size_value = 8,
	.max_elem = 3,
};

struct bpf_elf_map own SEC("maps") = {
	.type = BPF_MAP_TYPE_HASH,
	.size_key = 4,
	.size_value = 8,
	.pinning = PIN_OBJECT_NS,
	.max_elem = 8,
};
BPF_ANNOTATE_KV_PAIR(own, __u32, __u64);

SEC("5/0")
int drop(struct __sk_buff *skb)
{
	return 2;
}

SEC("5/0x3")
int count(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 first = 1;
	void *map = bpf_map_lookup_elem(&outer, &key);

	if (map)
		bpf_map_update_elem(map, &key, &first, BPF_ANY);
	bpf_map_update_elem(&own, &key, &first, BPF_ANY);
	return 0;
}

SEC("classifier")
int cls_main(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jmp_tc, skb->mark & 3);
	return -1;
}

char _license[] SEC("license") = "GPL";
