/* The parts of linux/bpf.h, linux/pkt_cls.h and bpf/bpf_helpers.h that these programs use, so that they need no headers. */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))

/* The types of a struct's members hold a map's attributes; the loader reads them from BTF. */
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name

enum { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PROG_ARRAY = 3 };
enum { LIBBPF_PIN_BY_NAME = 1 };

enum { TC_ACT_OK = 0, TC_ACT_SHOT = 2 };

/* The context of a classifier, up to the last field in use. */
struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_tail_call)(void *ctx, void *prog_array, __u32 index) = (void *)12;
