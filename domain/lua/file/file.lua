-- Open files: what an fd names; shared by dup, fork and passing, each sharer one count.
-- Invariant: an open file holds one reference on its object, from its making to its last put.
local kernel = use("base/kernel")
local memo = use("base/memo")
local refcount = use("base/refcount")
local call = redis.call

local file = {}

-- Access modes as bits: 1 read, 2 write.
local MODES = { [0] = 3, [8] = 1, [16] = 2 }
local FLAGS = { [3] = 0, [1] = 8, [2] = 16 }

-- BPF_F_RDONLY 8 and BPF_F_WRONLY 16 as an access mode; nil for both at once.
function file.mode(flags)
  return MODES[flags]
end

-- An fd's entry spells out its file's constant parts: one read less on every element operation.
file.parse = memo(function(text)
  local n, kind, id, mode = text:match("^(%d+):(%a+):(%d+):(%d)$")
  return { n = n, kind = kind, id = id, mode = tonumber(mode), flags = FLAGS[tonumber(mode)],
    entry = text }
end)

-- A new open file with one sharer; answers its entry.
function file.open(kind, id, mode)
  local n = kernel.increment("file")
  call("HSET", kernel.key("file", n), "refs", 1, "session", current.sid)
  refcount.get(kind, id, "file:" .. n)
  return n .. ":" .. kind .. ":" .. id .. ":" .. mode
end

function file.get(f)
  call("HINCRBY", kernel.key("file", f.n), "refs", 1)
end

function file.put(f)
  local key = kernel.key("file", f.n)
  local refs = call("HINCRBY", key, "refs", -1)
  if refs < 0 then kernel.bug("file " .. f.n .. " put once too often") end
  if refs == 0 then
    call("DEL", key)
    refcount.put(f.kind, f.id, "file:" .. f.n)
  end
end

return file
