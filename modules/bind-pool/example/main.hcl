host "hv1" {
  address = "192.0.2.11"
}

# Two pools that share a disk which is mounted already.
module "pool" {
  source    = "../"
  for_each  = { fast = ["noatime"], safe = ["nosuid", "nodev"] }
  name      = each.key
  hosts     = [host.hv1]
  directory = "/data/${each.key}"
  path      = "/srv/${each.key}"
  options   = each.value
}

output "paths" {
  value = { for name, pool in module.pool : name => pool.path }
}
