# What several racks have alike.

module "pool" {
  for_each = toset(var.racks)
  source   = "./modules/pool"
  hosts    = [host.hv1]
  paht     = "/srv/${each.key}" # mistake: unknown-attribute
}

module "fast" { # mistake: missing-attribute
  source = "./modules/pool"
  hosts  = [host.hv2]
}

module "far" {
  source = "./modules/nowhere" # mistake: unreadable-directory
}

output "pools" {
  value = [for pool in values(module.pool) : pool.path]
}

output "fast" {
  value = module.fast.pth # mistake: unsupported-attribute
}

output "far" {
  value = module.far.path
}
