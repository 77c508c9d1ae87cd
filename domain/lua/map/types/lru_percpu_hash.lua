-- BPF_MAP_TYPE_LRU_PERCPU_HASH (kernel/bpf/hashtab.c, bpf_lru_list.c): never full, and a value holds one
-- for each CPU.
local map = use("map/map")
local map_btf = use("map/map_btf")
local htab = use("map/hash/htab")
local htab_lru = use("map/hash/htab_lru")
local lru_list = use("map/hash/lru_list")
local lru_apply = use("map/hash/lru_apply")
local uapi = use("uapi")
local call = redis.call

local function alloc_check(attr)
  htab.alloc_check(attr, { is_lru = true, is_percpu = true })
end

-- __htab_lru_percpu_map_update_elem(): as for a plain LRU hash, but what is there is written in place,
-- and BPF_EXIST needs no room.
local function update(m, key, value, flags)
  map.check_update_flags(flags)
  if flags ~= uapi.BPF_EXIST then htab_lru.make_room(m) end
  local present = htab.lookup(m, key)
  htab.check_flags(present, flags)
  if not present then return htab_lru.store(m, key, value) end
  call("HSET", (htab.keys(m)), key, value)
  lru_list.set_ref(m, key)
end

map.register("lru_percpu_hash", {
  alloc_check = alloc_check, alloc = htab_lru.alloc, lookup = htab.lookup,
  lookup_many = htab.lookup_many, update = update, lookup_and_delete = htab_lru.lookup_and_delete,
  remove = htab_lru.lookup_and_delete, delete = htab.delete, next_key = htab.next_key,
  page = htab.page, entries = htab.entries, free = htab_lru.free, touch = lru_list.set_ref,
  change_cost = htab_lru.change_cost, apply = lru_apply.apply, batch_kind = "lru", is_percpu = true,
  special_fields = map_btf.POINTERS
})
