host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

module "pool" {
  source = "../"
  name   = "shared"
  hosts  = [host.hv1, host.hv2]
  server = "10.0.0.5"
  export = "/export/images"
  path   = "/srv/shared"
}

image "web" {
  volume = module.pool.volume
  format = "qcow2"
  size   = "20GiB"
}

output "path" {
  value = module.pool.path
}
