-- Checks of the arguments that the commands on elements share.
local kernel = use("base/kernel")
local map = use("map/map")
local uapi = use("uapi")

local elem_args = {}
local F_LOCK = uapi.BPF_F_LOCK

function elem_args.check_size(what, bytes, size)
  if #bytes ~= size then
    kernel.fail("EINVAL", what .. " must have " .. size .. " bytes, got " .. #bytes)
  end
end

-- ___bpf_copy_key(): an empty key is a null pointer, which only maps without keys take.
function elem_args.check_key(m, key)
  if m.key_size == 0 and key ~= "" then
    map.einval("a " .. m.type .. " has no keys: use push, pop or peek")
  end
  if m.key_size > 0 and key == "" then
    kernel.fail("EFAULT", "a key of " .. m.key_size .. " bytes is missing")
  end
  elem_args.check_size("key", key, m.key_size)
end

-- The cursor of a dump, nil for the first page.
function elem_args.cursor(m, cursor)
  if cursor == "" then return nil end
  local size = m.ops.cursor_bytes or m.key_size
  if #cursor ~= size then
    kernel.fail("EINVAL", "must have " .. size .. " bytes, got " .. #cursor, "cursor")
  end
  return cursor
end

function elem_args.lookup_flags(flags)
  flags = tonumber(flags)
  if flags ~= 0 and flags ~= F_LOCK then
    kernel.fail("EINVAL", "flags must be 0 or BPF_F_LOCK (4), got " .. flags)
  end
  return flags
end

-- The value, or ENOENT.
function elem_args.found(value, missing)
  if not value then kernel.fail("ENOENT", missing or "the map has no such element") end
  return value
end

-- 1 when values are ids of objects, else 0.
function elem_args.is_id(m)
  return m.ops.object_kind and 1 or 0
end

return elem_args
