-- BPF_MAP_TYPE_LRU_HASH (kernel/bpf/hashtab.c, bpf_lru_list.c): never full.
local map = use("map/map")
local map_btf = use("map/map_btf")
local htab = use("map/hash/htab")
local htab_lru = use("map/hash/htab_lru")
local lru_list = use("map/hash/lru_list")
local lru_apply = use("map/hash/lru_apply")

local function alloc_check(attr)
  htab.alloc_check(attr, { is_lru = true })
end

-- htab_lru_map_update_elem(): room is made before the flags are judged, so that even an update that
-- fails, or replaces, may evict another element.
local function update(m, key, value, flags)
  map.check_update_flags(flags)
  htab_lru.make_room(m)
  htab.check_flags(htab.lookup(m, key), flags)
  htab_lru.store(m, key, value)
end

map.register("lru_hash", {
  alloc_check = alloc_check, alloc = htab_lru.alloc, lookup = htab.lookup,
  lookup_many = htab.lookup_many, update = update, lookup_and_delete = htab_lru.lookup_and_delete,
  remove = htab_lru.lookup_and_delete, delete = htab.delete, next_key = htab.next_key,
  page = htab.page, entries = htab.entries, free = htab_lru.free, touch = lru_list.set_ref,
  change_cost = htab_lru.change_cost, apply = lru_apply.apply, batch_kind = "lru",
  special_fields = map_btf.ALL_BUT_LOCKS
})
