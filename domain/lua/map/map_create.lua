-- BPF_MAP_CREATE, with its checks in the kernel's order.
local kernel = use("base/kernel")
local cred = use("base/cred")
local session = use("base/session")
local file = use("file/file")
local idr = use("file/idr")
local map = use("map/map")
local map_attr = use("map/map_attr")
local map_btf = use("map/map_btf")
local refcount = use("base/refcount")
local uapi = use("uapi")
local band = bit.band

local RDONLY_WRONLY, ACCESS_PROG = map_attr.RDONLY_WRONLY, map_attr.ACCESS_PROG
local TOKEN_FD = uapi.BPF_F_TOKEN_FD

-- map_check_btf(), for a value whose schema has locks.
local function check_locks(ops, flags)
  if band(flags, ACCESS_PROG) ~= 0 then
    kernel.fail("EACCES",
      "a map with a bpf_spin_lock must not have BPF_F_RDONLY_PROG or BPF_F_WRONLY_PROG")
  end
  if not ops.has_locks then
    kernel.fail("EOPNOTSUPP", "only a hash or an array can have a bpf_spin_lock in its values")
  end
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

local function record(attr, ops, fields, btf)
  local stored = { map_type = attr.map_type, key_size = attr.key_size,
    value_size = attr.value_size, max_entries = attr.max_entries, frozen = 0,
    map_flags = attr.map_flags - band(attr.map_flags, RDONLY_WRONLY),
    cpus = ops.is_percpu and attr.cpus, locks = attr.locks ~= "" and attr.locks }
  local function add(field, value) fields[#fields + 1], fields[#fields + 2] = field, value end
  add("attr", map.pack_attr(stored))
  add("map_name", attr.map_name)
  add("map_extra", attr.map_extra)
  add("revision", 0)
  if attr.schema ~= "" then add("schema", attr.schema) end
  if not btf then return fields end
  add("btf_id", btf.id)
  add("btf_key_type_id", attr.btf_key_type_id)
  add("btf_value_type_id", attr.btf_value_type_id)
  if btf.special then add("special", btf.special) end
  return fields
end

--[[
  BPF_MAP_CREATE (kernel: map_create()): makes a map and an fd for it.

    Input: in the order of uapi.MAP_CREATE; sizes are bytes, inner_map_fd, schema and locks may be "", and the
           fields of BTF "0"
      locks  offsets of the bpf_spin_locks that `schema` describes
    Output:
      fd, id
    Errors:
      EINVAL      an attribute is wrong for the type, or the type is unknown
      E2BIG       a size or max_entries is too large
      EPERM       the caller lacks CAP_BPF, or another capability that the type or a flag needs
      ENOMEM      the elements would be too large in sum
      EBADF       inner_map_fd or btf_fd is not open
      ENOTSUPP    a flag, an inner map or BTF that the type does not support
      EACCES      locks or other special fields with BPF_F_RDONLY_PROG or BPF_F_WRONLY_PROG
      EOPNOTSUPP  locks or other special fields in a type without them
      EFAULT      a list or tree in the value has contents without a node
      EMFILE      the session has as many fds as its nofile allows
]]
function kernel.sys.map_create(...)
  local attr = decode(...)
  local flags = attr.map_flags
  attr.map_flags = flags - band(flags, TOKEN_FD)
  local mode = file.mode(band(flags, RDONLY_WRONLY))
  if not mode then map.einval("map_flags must not have both BPF_F_RDONLY and BPF_F_WRONLY") end
  map_btf.check_ids(attr)
  local type = map_attr.type_of(attr.map_type)
  if not type then
    map.einval("unknown map_type " .. attr.map_type .. ", known are " .. map_attr.TYPE_NAMES)
  end
  local ops = map.types[type]
  attr.map_type = type
  if attr.map_extra ~= "0" and not ops.has_map_extra then
    map.einval("map_extra must be 0 for a " .. type .. ", got " .. attr.map_extra)
  end
  ops.alloc_check(attr)
  if band(flags, TOKEN_FD) ~= 0 then
    map.einval("map_flags must not have BPF_F_TOKEN_FD: there are no BPF tokens")
  end
  need("CAP_BPF", "a map")
  if ops.capability then need(ops.capability, "a " .. type) end
  local fields = ops.alloc(attr) or {}
  map_attr.check_name(attr.map_name, "map_name")
  local btf = map_btf.check(attr, ops)
  if btf then attr.locks = btf.locks or "" end
  if attr.locks ~= "" then check_locks(ops, flags) end
  local fd, id = idr.publish("map", mode, record(attr, ops, fields, btf))
  local held = btf and btf.id or fields.template_btf
  if held then refcount.get("btf", held, "map:" .. id) end
  return fd, id
end
