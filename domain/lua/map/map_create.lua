-- BPF_MAP_CREATE, in the kernel's order.
local kernel = use("base/kernel")
local cred = use("base/cred")
local session = use("base/session")
local file = use("file/file")
local idr = use("file/idr")
local map = use("map/map")
local map_attr = use("map/map_attr")
local uapi = use("uapi")
local band = bit.band

local RDONLY_WRONLY, ACCESS_PROG = map_attr.RDONLY_WRONLY, map_attr.ACCESS_PROG
local TOKEN_FD = uapi.BPF_F_TOKEN_FD

local known, names = {}, {}
for number, name in pairs(uapi.BPF_MAP_TYPES) do
  known[name], known[tostring(number)] = name, name
  names[#names + 1] = name
end
table.sort(names)

-- map_check_btf(): of a value with locks.
local function check_locks(ops, flags)
  if band(flags, ACCESS_PROG) ~= 0 then
    kernel.fail("EACCES", "a value with a bpf_spin_lock is without BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG")
  end
  if not ops.locks then kernel.fail("EOPNOTSUPP", "a bpf_spin_lock is in a hash or an array only") end
end

local function need(cap, what)
  if not cred.capable_or_admin(cap) then kernel.fail("EPERM", "creating " .. what .. " needs " .. cap) end
end

-- Arguments in the order of uapi.MAP_CREATE; sizes and flags are numbers.
local function decode(...)
  local attr = { cpus = tonumber(session.cpus()) }
  for i, field in ipairs(uapi.MAP_CREATE) do attr[field] = (select(i, ...)) end
  for _, field in ipairs({ "key_size", "value_size", "max_entries", "map_flags" }) do
    attr[field] = tonumber(attr[field])
  end
  return attr
end

local function record(attr, ops, fields)
  local stored = { map_type = known[attr.map_type], key_size = attr.key_size,
    value_size = attr.value_size, max_entries = attr.max_entries, frozen = 0,
    map_flags = attr.map_flags - band(attr.map_flags, RDONLY_WRONLY),
    cpus = ops.percpu and attr.cpus, locks = attr.locks ~= "" and attr.locks }
  local function add(field, value) fields[#fields + 1], fields[#fields + 2] = field, value end
  add("attr", map.pack_attr(stored))
  add("map_name", attr.map_name)
  add("map_extra", attr.map_extra)
  add("revision", 0)
  if attr.schema ~= "" then add("schema", attr.schema) end
  return fields
end

-- `locks` of the arguments are the offsets of those that `schema` describes.
function kernel.sys.map_create(...)
  local attr = decode(...)
  local flags, type = attr.map_flags, attr.map_type
  attr.map_flags = flags - band(flags, TOKEN_FD)
  local mode = file.mode(band(flags, RDONLY_WRONLY))
  if not mode then map.einval("BPF_F_RDONLY and BPF_F_WRONLY at once") end
  local ops = map.types[known[type]]
  if not ops then
    map.einval("there is no map_type " .. type .. " here, but " .. table.concat(names, ", "))
  end
  if attr.map_extra ~= "0" and not ops.has_map_extra then
    map.einval("map_extra has no meaning for this map_type")
  end
  ops.alloc_check(attr)
  if band(flags, TOKEN_FD) ~= 0 then map.einval("BPF_F_TOKEN_FD: there are no tokens") end
  need("CAP_BPF", "a map")
  if ops.capability then need(ops.capability, "a " .. known[type]) end
  local fields = ops.alloc(attr) or {}
  map_attr.check_name(attr.map_name, "map_name")
  if attr.locks ~= "" then check_locks(ops, flags) end
  return idr.publish("map", mode, record(attr, ops, fields))
end
