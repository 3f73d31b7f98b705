// The Kubernetes cluster: only Entra sign-in, workload identity, KEDA, collection of metrics and logs.
// Its system pool also runs the splitter, the assembler and the exporter; stylizers have pools of their own.

param name string
param location string
param tags object

@description('Identity of the control plane, and its object id.')
param identityId string
param identityPrincipalId string

param nodesSubnetId string
param logsId string

@description('Version, such as 1.33; empty: the default of AKS.')
param kubernetesVersion string

@allowed([
  'Free'
  'Standard'
])
param tier string

param systemVmSize string
param systemMinNodes int
param systemMaxNodes int

@description('Whether the machines\' local disks are encrypted, too; this feature has to be registered first.')
param hostEncryption bool

@description('Public IPv4 ranges that may reach the API server; empty: all, and only Entra restricts access.')
param apiServerIpRanges array

@description('Role ids by name, from access.json.')
param roles object

var onlyFromRanges = {
  authorizedIPRanges: apiServerIpRanges
}

resource nodes 'Microsoft.Network/virtualNetworks/subnets@2024-07-01' existing = {
  name: '${split(nodesSubnetId, '/')[8]}/${split(nodesSubnetId, '/')[10]}'
}

// A cluster needs permission to join its nodes to a network of ours.
resource mayJoin 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: nodes
  name: guid(nodes.id, identityPrincipalId, 'join')
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Network Contributor'])
  }
}

resource cluster 'Microsoft.ContainerService/managedClusters@2025-07-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Base'
    tier: tier
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    dnsPrefix: name
    kubernetesVersion: empty(kubernetesVersion) ? null : kubernetesVersion
    nodeResourceGroup: '${resourceGroup().name}-nodes'
    enableRBAC: true
    disableLocalAccounts: true
    aadProfile: {
      managed: true
      enableAzureRBAC: true
    }
    apiServerAccessProfile: empty(apiServerIpRanges) ? null : onlyFromRanges
    oidcIssuerProfile: {
      enabled: true
    }
    securityProfile: {
      workloadIdentity: {
        enabled: true
      }
      imageCleaner: {
        enabled: true
        intervalHours: 48
      }
    }
    workloadAutoScalerProfile: {
      keda: {
        enabled: true
      }
    }
    azureMonitorProfile: {
      metrics: {
        enabled: true
        kubeStateMetrics: {
          metricLabelsAllowlist: ''
          metricAnnotationsAllowList: ''
        }
      }
    }
    addonProfiles: {
      omsagent: {
        enabled: true
        config: {
          logAnalyticsWorkspaceResourceID: logsId
          useAADAuth: 'true'
        }
      }
    }
    autoUpgradeProfile: {
      upgradeChannel: 'patch'
      nodeOSUpgradeChannel: 'NodeImage'
    }
    autoScalerProfile: {
      // An idle GPU costs as much as a busy one: release it sooner than after the default of 10 minutes.
      'scale-down-unneeded-time': '5m'
      'scale-down-delay-after-add': '5m'
    }
    networkProfile: {
      networkPlugin: 'azure'
      networkPluginMode: 'overlay'
      networkDataplane: 'cilium'
      networkPolicy: 'cilium'
      loadBalancerSku: 'standard'
      outboundType: 'loadBalancer'
      podCidr: '10.244.0.0/16'
      serviceCidr: '172.16.0.0/16'
      dnsServiceIP: '172.16.0.10'
    }
    agentPoolProfiles: [
      {
        name: 'system'
        type: 'VirtualMachineScaleSets'
        mode: 'System'
        osType: 'Linux'
        vmSize: systemVmSize
        enableAutoScaling: true
        count: systemMinNodes
        minCount: systemMinNodes
        maxCount: systemMaxNodes
        maxPods: 60
        enableEncryptionAtHost: hostEncryption
        vnetSubnetID: nodesSubnetId
        upgradeSettings: {
          maxSurge: '33%'
        }
      }
    ]
  }
  dependsOn: [
    mayJoin
  ]
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: cluster
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      // Changes, without the reads, which are most of the audit log.
      {
        category: 'kube-audit-admin'
        enabled: true
      }
      // Why a GPU node was added or removed, or was not available.
      {
        category: 'cluster-autoscaler'
        enabled: true
      }
    ]
  }
}

output name string = cluster.name
output issuer string = cluster.properties.oidcIssuerProfile.issuerURL
output kubeletPrincipalId string = cluster.properties.identityProfile.kubeletidentity.objectId
