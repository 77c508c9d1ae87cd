-- Attributes of new maps, and BPF_MAP_CREATE; apart from map.lua, which every element command loads.
local kernel = use("kernel")
local cred = use("cred")
local file = use("file")
local map = use("map")
local session = use("session")
local band = bit.band

local map_attr = { sys = {} }
local sys = map_attr.sys

local TYPES = { [1] = "hash", [2] = "array", [3] = "prog_array", [4] = "perf_event_array",
  [5] = "percpu_hash", [6] = "percpu_array", [9] = "lru_hash", [10] = "lru_percpu_hash",
  [11] = "lpm_trie", [12] = "array_of_maps", [13] = "hash_of_maps", [14] = "devmap", [16] = "cpumap",
  [22] = "queue", [23] = "stack", [25] = "devmap_hash", [27] = "ringbuf", [30] = "bloom_filter" }
local RDONLY_WRONLY, NUMA_NODE, ACCESS_PROG, TOKEN_FD = 24, 4, 384, 65536

local known, names = {}, {}
for number, name in pairs(TYPES) do
  known[name], known[tostring(number)] = name, name
  names[#names + 1] = name
end
table.sort(names)

-- bpf_map_flags_access_ok() and the type's own mask of flags.
function map_attr.check_flags(attr, mask)
  if band(attr.map_flags, bit.bnot(mask + NUMA_NODE + RDONLY_WRONLY + ACCESS_PROG)) ~= 0 then
    map.invalid("map_flags " .. attr.map_flags .. " has a flag that this type does not take")
  end
  if band(attr.map_flags, ACCESS_PROG) == ACCESS_PROG then
    map.invalid("BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG at once")
  end
end

-- map_check_btf(): of a value with locks.
local function check_locks(ops, flags)
  if band(flags, ACCESS_PROG) ~= 0 then
    kernel.fail("EACCES", "a value with a bpf_spin_lock is without BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG")
  end
  if not ops.locks then kernel.fail("EOPNOTSUPP", "a bpf_spin_lock is in a hash or an array only") end
end

-- bpf_obj_name_cpy()
function map_attr.check_name(name, field)
  if #name > 15 or name:find("[^%w_.]") then
    map.invalid(field .. ": at most 15 letters, digits, _ and .")
  end
end

local function need(cap, what)
  if not cred.capable_or_admin(cap) then kernel.fail("EPERM", "creating " .. what .. " needs " .. cap) end
end

-- BPF_MAP_CREATE, in the kernel's order. locks: the offsets of those that `schema` describes.
function sys.map_create(type, key_size, value_size, max_entries, flags, name, extra, inner_fd, schema, locks)
  local attr = { key_size = tonumber(key_size), value_size = tonumber(value_size),
    max_entries = tonumber(max_entries), map_flags = flags - band(flags, TOKEN_FD), map_name = name,
    map_extra = extra, inner_map_fd = inner_fd, cpus = tonumber(session.cpus()) }
  local mode = file.mode(band(flags, RDONLY_WRONLY))
  if not mode then map.invalid("BPF_F_RDONLY and BPF_F_WRONLY at once") end
  if not known[type] then
    map.invalid("there is no map_type " .. type .. " here, but " .. table.concat(names, ", "))
  end
  local ops = use("map_" .. known[type])
  if extra ~= "0" and not ops.takes_extra then map.invalid("map_extra has no meaning for this map_type") end
  ops.alloc_check(attr)
  if band(flags, TOKEN_FD) ~= 0 then map.invalid("BPF_F_TOKEN_FD: there are no tokens") end
  need("CAP_BPF", "a map")
  if ops.needs then need(ops.needs, "a " .. known[type]) end
  local fields = ops.alloc(attr) or {}
  map_attr.check_name(name, "map_name")
  if locks ~= "" then check_locks(ops, flags) end
  local function add(...)
    for _, word in ipairs({ ... }) do fields[#fields + 1] = word end
  end
  add("map_type", known[type], "map_name", name, "key_size", key_size, "value_size", value_size,
    "max_entries", attr.max_entries, "map_extra", extra, "frozen", 0, "revision", 0,
    "map_flags", attr.map_flags - band(attr.map_flags, RDONLY_WRONLY))
  if ops.percpu then add("cpus", attr.cpus) end
  if schema ~= "" then add("schema", schema) end
  if locks ~= "" then add("locks", locks) end
  return use("idr").publish("map", mode, fields)
end

return map_attr
